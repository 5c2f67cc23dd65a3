import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { isRunning } from '../../../worker/launcher/process-tree.ts';
import { PROBES } from '../../../worker/sandbox/probes.ts';
import { describeStrict } from '../describe-strict.ts';
import { RunningWorker } from '../running-worker.ts';

// What an action can and cannot do, tried by actions. See reliability R26, R28 and R30.

/** System calls by number, made by perl, which is on every Debian; each prints its name and the error. */
const SYSTEM_CALLS = `
  my %calls = (
    bpf => [321, 0, 0, 0], clone_newuser => [56, 0x10000011, 0, 0, 0, 0], clone3 => [435, 0, 0],
    finit_module => [313, 0, 0, 0], io_uring_setup => [425, 1, 0], keyctl => [250, 0, -3, 0],
    mount => [165, 0, 0, 0, 0, 0], perf_event_open => [298, 0, 0, 0, 0, 0], pivot_root => [155, 0, 0],
    ptrace => [101, 0, 0, 0, 0], setns => [308, 0, 0], tiocsti => [16, 0, 0x5412, 0],
    umount2 => [166, 0, 0], unshare => [272, 0x10000000], userfaultfd => [323, 0],
    vsock => [41, 40, 1, 0], packet_socket => [41, 17, 3, 0], x32_getpid => [0x40000000 + 39],
  );
  for (sort keys %calls) { my ($n, @a) = @{$calls{$_}}; $! = 0; syscall($n, @a); print "$_: $!\\n"; }
`;

describeStrict('the strict sandbox', () => {
  let worker: RunningWorker;
  beforeAll(async () => {
    worker = await RunningWorker.start();
  });
  afterAll(async () => {
    await worker?.[Symbol.asyncDispose]();
  });

  test('passes its self-test, logs it and announces its level', () => {
    expect(worker.role.probes.map(({ name }) => name)).toEqual(PROBES.map(({ name }) => name));
    expect(worker.role.probes.filter(({ passed }) => !passed)).toEqual([]);
    expect(worker.logger.at('info').map(({ message }) => message)).toContain('sandbox is ready');
    expect(worker.scheduler.worker.properties).toContainEqual({
      name: 'sandbox',
      value: 'strict',
      treatment: 0,
    });
  });

  test('refuses system calls that reach out of it', async () => {
    const answers = (await worker.run({ arguments: ['perl', '-e', SYSTEM_CALLS] })).result!.stdoutRaw;
    const expected = [
      ...['bpf', 'clone_newuser', 'finit_module', 'io_uring_setup', 'keyctl', 'mount', 'perf_event_open'],
      ...['pivot_root', 'ptrace', 'setns', 'tiocsti', 'umount2', 'unshare', 'userfaultfd', 'x32_getpid'],
    ].map((name) => `${name}: Operation not permitted`);
    const lines = Buffer.from(answers).toString().trim().split('\n');
    expect(lines.sort()).toEqual(
      [
        ...expected,
        'clone3: Function not implemented',
        'packet_socket: Address family not supported by protocol',
        'vsock: Address family not supported by protocol',
      ].sort(),
    );
  });

  test("shows no network but its own loopback, and none of the host's sockets", async () => {
    const script = `perl -MIO::Socket::INET -e '
      my $own = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die "listen: $!";
      print IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $own->sockport) ? "loopback\\n" : "$!\\n";
      print IO::Socket::INET->new(PeerAddr => "10.0.0.1", PeerPort => 80, Timeout => 2) ? "out\\n" : "$!\\n";
    '; grep -c @ /proc/net/unix`;
    // grep finds no abstract socket, though the worker itself holds some, and so exits with 1.
    expect(await worker.shell(script)).toBe('loopback\nNetwork is unreachable\n0\n[exit code 1]');
  });

  test('an action cannot change its inputs, whatever it tries (R28)', async () => {
    const bytes = Buffer.from('precious\n');
    const inputs = { f: { bytes }, p: '#!/bin/sh\necho run\n' };
    const script = `
      for try in 'echo x >> f' 'chmod 777 f' 'touch -d @0 f' 'truncate -s 0 f' 'cp /bin/true f' 'chown 1000 f'; do
        sh -c "$try" 2>/dev/null && echo "did: $try"
      done
      mv f h && ./p && cat h && rm h && echo gone`;
    expect(await worker.shell(script, { inputs })).toBe('run\nprecious\ngone\n');
    const blobs = join(worker.folder, 'worker', 'blobs');
    const [file] = readdirSync(blobs, { recursive: true })
      .map((name) => join(blobs, String(name)))
      .filter((path) => statSync(path).isFile() && readFileSync(path).equals(bytes));
    expect(statSync(file!).mode & 0o7777).toBe(0o444);
    expect(statSync(file!).mtime.getTime()).toBe(946_684_800_000);
    expect(await worker.shell('cat f', { inputs })).toBe('precious\n');
  });

  test('two actions at once see neither each other nor what an earlier one left', async () => {
    const spy = 'touch mine /tmp/mine; sleep 0.2; ls; ls /tmp; ls -d /proc/[0-9]* | wc -l';
    const [a, b] = await Promise.all([worker.shell(spy), worker.shell(spy)]);
    expect(a).toMatch(/^mine\nmine\n[1-6]\n$/);
    expect(b).toMatch(/^mine\nmine\n[1-6]\n$/);
    expect(await worker.shell('ls; ls /tmp')).toBe('');
  });

  test("the environment is the command's, and no more", async () => {
    process.env.INGOT_TEST_SECRET = 'secret';
    const { result } = await worker.run({ arguments: ['env'], environment: { LANG: 'C', PATH: '/usr/bin' } });
    delete process.env.INGOT_TEST_SECRET;
    const lines = Buffer.from(result!.stdoutRaw).toString().trim().split('\n');
    // PWD is bwrap's.
    expect(lines.sort()).toEqual(['HOME=/tmp', 'LANG=C', 'PATH=/usr/bin', 'PWD=/ingot/work', 'TMPDIR=/tmp']);
  });

  test("argv[0] is looked up on the command's own PATH, or taken from its working directory", async () => {
    const inputs = {
      bin: { tool: '#!/bin/sh\necho "tool $0"\n' },
      sub: { tool: '#!/bin/sh\necho "sub $0"\n' },
    };
    const said = async (program: string, PATH: string, workingDirectory = ''): Promise<string> => {
      const { result } = await worker.run({
        arguments: [program],
        inputs,
        environment: { PATH },
        command: { workingDirectory },
      });
      return Buffer.from(result!.stdoutRaw).toString() + Buffer.from(result!.stderrRaw).toString();
    };
    expect(await said('tool', '/ingot/work/bin:/usr/bin')).toBe('tool /ingot/work/bin/tool\n');
    expect(await said('./tool', '/usr/bin', 'sub')).toBe('sub ./tool\n');
    expect(await said('/ingot/work/bin/tool', '/usr/bin')).toBe('tool /ingot/work/bin/tool\n');
    expect(await said('tool', '/usr/bin')).toBe('tool: command not found\n');
  });

  test('a program that is not there, or is none, ends as it would in a shell', async () => {
    const absent = await worker.run({ arguments: ['nvcc', '--version'] });
    expect(absent.status).toBeUndefined();
    expect(absent.result!.exitCode).toBe(127);
    expect(Buffer.from(absent.result!.stderrRaw).toString()).toBe('nvcc: command not found\n');
    expect(absent.message).toMatch(/^not started: nvcc: command not found \(worker w1, /);
    const plain = await worker.run({ arguments: ['./f'], inputs: { f: 'text' } });
    expect(plain.result!.exitCode).toBe(126);
    expect(Buffer.from(plain.result!.stderrRaw).toString()).toBe('./f: Permission denied\n');
  });

  test('the input root is where the action wants it', async () => {
    const platform = { InputRootAbsolutePath: '/home/me/src' };
    expect(await worker.shell('pwd; ls /home/me', { platform })).toBe('/home/me/src\nsrc\n');
    const { status } = await worker.run({
      arguments: ['true'],
      platform: { InputRootAbsolutePath: '/usr/x' },
    });
    expect(status).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'InputRootAbsolutePath "/usr/x" is a place where the sandbox has something else',
    });
  });

  test("all the names in /etc of this machine's own are left out", async () => {
    const text = await worker.shell(
      'cat /etc/passwd | cut -d: -f1; ls /etc/ssl; ls /etc/shadow /etc/machine-id 2>/dev/null; true',
    );
    expect(text).toMatch(/^root\ningot\nnobody\n/);
    expect(text).not.toMatch(/private|shadow|machine-id/);
  });

  test('an action may write to what /dev/stdout and /dev/stderr name', async () => {
    const { result } = await worker.run({
      arguments: ['sh', '-c', 'echo o | tee -a /dev/stdout; echo e > /dev/stderr'],
    });
    expect(Buffer.from(result!.stdoutRaw).toString()).toBe('o\no\n');
    expect(Buffer.from(result!.stderrRaw).toString()).toBe('e\n');
  });

  test('leaves no file, process, mount or control group behind', async () => {
    await worker.shell('mkdir -p a/b; setsid sleep 1000 & chmod 0 a; true');
    expect(readdirSync(join(worker.folder, 'worker', 'work'))).toEqual([]);
    const [uid] = worker.logger.lines.flatMap(({ fields }) =>
      'slotUids' in fields ? (fields.slotUids as number[]) : [],
    );
    // A zombie is dead, and waits for the machine's first process to notice.
    const alive = readdirSync('/proc').filter(
      (name) => statSync(`/proc/${name}`, { throwIfNoEntry: false })?.uid === uid && isRunning(Number(name)),
    );
    expect(alive).toEqual([]);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(worker.folder);
  });
});
