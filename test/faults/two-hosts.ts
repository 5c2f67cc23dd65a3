import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = (...args: readonly string[]) => run('ip', args);

/** This host and a network namespace, joined by a cable of their own that can be cut. Takes root and iproute2. */
export class TwoHosts implements AsyncDisposable {
  readonly #name: string;
  readonly serverIp: string;

  private constructor(name: string, serverIp: string) {
    this.#name = name;
    this.serverIp = serverIp;
  }

  static async make(): Promise<TwoHosts> {
    const number = process.pid % 250;
    const hosts = new TwoHosts(`ingot${number}`, `10.217.${number}.1`);
    const { serverIp } = hosts;
    const name = hosts.#name;
    await ip('netns', 'add', name);
    try {
      await ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', name);
      await ip('addr', 'add', `${serverIp}/24`, 'dev', `${name}a`);
      await ip('link', 'set', `${name}a`, 'up');
      await ip('-n', name, 'addr', 'add', serverIp.replace(/1$/, '2/24'), 'dev', `${name}b`);
      await ip('-n', name, 'link', 'set', `${name}b`, 'up');
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
    return hosts;
  }

  /** What to put before a command for it to run on the other host. */
  get onOtherHost(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name];
  }

  /** From now on nothing gets through, and nobody is told. */
  async cut(): Promise<void> {
    await ip('-n', this.#name, 'link', 'set', `${this.#name}b`, 'down');
  }

  /** The cable goes with the namespace. */
  async [Symbol.asyncDispose](): Promise<void> {
    await ip('netns', 'del', this.#name);
  }
}
