import { join } from 'node:path';
import type { Contestant, ServerPlace } from '../peers/contestant.ts';

/** The plainest file server that node:http allows: what reads over HTTP could come to at the most. */
export class StaticFileContestant implements Contestant {
  readonly name = 'node:http files';
  readonly speaks = ['http'] as const;

  async command({ folder, httpAddress }: ServerPlace): Promise<readonly string[]> {
    const program = join(import.meta.dirname, 'static-file-server.ts');
    return [process.execPath, program, '--folder', folder, '--http', httpAddress];
  }
}
