import type { Readable } from 'node:stream';

/** What bwrap tells of the sandbox it makes: one JSON object a line. */
export class SandboxStatus {
  /** First process of the sandbox's pid namespace, by its pid outside; when it dies, all in the sandbox do. */
  initPid: number | undefined;
  /** The command's; undefined when it was never started, or bwrap was killed. */
  exitCode: number | undefined;
  /** Resolves when bwrap has nothing more to tell. */
  readonly ended: Promise<void>;

  constructor(stream: Readable) {
    this.ended = this.#read(stream);
  }

  async #read(stream: Readable): Promise<void> {
    let pending = '';
    try {
      for await (const chunk of stream) {
        const lines = (pending + String(chunk)).split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) this.#learn(line);
      }
    } catch {
      // The pipe was torn down with the sandbox: what was told before still counts.
    }
  }

  #learn(line: string): void {
    let facts: unknown;
    try {
      facts = JSON.parse(line);
    } catch {
      // Half a line of a bwrap that was killed while it wrote.
      return;
    }
    if (typeof facts !== 'object' || facts === null) return;
    if ('child-pid' in facts) this.initPid = Number(facts['child-pid']);
    if ('exit-code' in facts) this.exitCode = Number(facts['exit-code']);
  }
}
