import { execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempFolder } from './temp-folder.ts';

const ENTRY = join(import.meta.dirname, '../../cli/ingot.js');
const NODE_24 = process.execPath;

/** A package with the real entry, a program of the test's, and, as its own node, the one that runs the tests. */
function packageWith(program: string, { hasOwnNode = true } = {}): string {
  const root = tempFolder();
  mkdirSync(join(root, 'cli'));
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"type": "module"}');
  copyFileSync(ENTRY, join(root, 'cli/ingot.js'));
  writeFileSync(join(root, 'cli/program.ts'), program);
  if (hasOwnNode) symlinkSync(NODE_24, join(root, 'node_modules/.bin/node'));
  return join(root, 'cli/ingot.js');
}

/** Makes the entry believe that it runs on an old Node: the version is all it looks at. */
function oldNode(): string[] {
  const preload = join(tempFolder(), 'old.cjs');
  writeFileSync(
    preload,
    `if (process.channel === undefined) Object.defineProperty(process, 'versions', { value: { node: '18.20.0' } });`,
  );
  return ['--require', preload];
}

interface Ended {
  readonly code: number | string | null | undefined;
  readonly signal: string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(NODE_24, args, { env: { ...process.env, HOME: tempFolder() } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, signal: error?.signal, stdout, stderr }),
    );
  });
}

const ECHO = `export async function main(argv: readonly string[]): Promise<number> {
  console.log(process.version, JSON.stringify(argv));
  return 7;
}`;

describe('ingot.js', () => {
  it('runs the program and ends with its exit code', async () => {
    const ended = await run([packageWith(ECHO), 'a', '--b']);
    expect([ended.code, ended.stdout]).toEqual([7, `${process.version} ["a","--b"]\n`]);
  });

  it('bounds the space for new objects, by its first line and on the node it starts itself', async () => {
    const entry = packageWith(
      'export async function main(): Promise<number> { console.log(process.execArgv); return 0; }',
    );
    const flag = '--max-semi-space-size=16';
    expect((await run([...oldNode(), entry])).stdout).toBe(`[ '${flag}' ]\n`);
    expect(readFileSync(ENTRY, 'utf8').split('\n', 1)).toEqual([`#!/usr/bin/env -S node ${flag}`]);
  });

  it("starts over on the package's own node when this one is too old, with the same exit code", async () => {
    const ended = await run([...oldNode(), packageWith(ECHO), 'a', '--b']);
    expect([ended.code, ended.stdout]).toEqual([7, `${process.version} ["a","--b"]\n`]);
  });

  it('says what to do when there is no own node', async () => {
    const ended = await run([...oldNode(), packageWith(ECHO, { hasOwnNode: false })]);
    expect(ended.code).toBe(70);
    expect(ended.stderr).toMatch(
      /^error: start ingot: this is Node 18\.20\.0, expected 24 or newer, .*\nhint: run `npm ci` in /,
    );
  });

  it('dies of the signal the program died of', async () => {
    const program = `export async function main() { process.kill(process.pid, 'SIGKILL'); await new Promise(() => setTimeout(() => 0, 9e8)); }`;
    const ended = await run([...oldNode(), packageWith(program)]);
    expect(ended.signal).toBe('SIGKILL');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'passes %s on and waits for the program to drain',
    async (signal) => {
      const program = `export async function main() {
      const asked = new Promise((resolve) => process.once('${signal}', resolve));
      console.log('ready');
      const timer = setInterval(() => 0, 1000);
      await asked;
      clearInterval(timer);
      console.log('drained');
      return 3;
    }`;
      const child = spawn(NODE_24, [...oldNode(), packageWith(program)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.on('data', (text) => {
        if (stdout === '') child.kill(signal);
        stdout += text;
      });
      const code = await new Promise((resolve) => child.once('close', resolve));
      expect([code, stdout]).toEqual([3, 'ready\ndrained\n']);
    },
  );

  it('tells the program to drain when it is itself killed', async () => {
    const program = `export async function main() {
      process.once('SIGTERM', () => { console.log('drained'); process.exit(0); });
      console.log('ready');
      await new Promise((resolve) => setTimeout(resolve, 20_000));
    }`;
    const child = spawn(NODE_24, [...oldNode(), packageWith(program)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.on('data', (text) => {
      if (stdout === '') child.kill('SIGKILL');
      stdout += text;
    });
    await new Promise((resolve) => child.stdout.once('close', resolve));
    expect(stdout).toBe('ready\ndrained\n');
  });
});
