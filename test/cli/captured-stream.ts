import { Writable } from 'node:stream';
import type { OutputStream } from '../../cli/output/console-printer.ts';

/** A stream that keeps what is written; a terminal of 80 columns when asked. */
export class CapturedStream extends Writable implements OutputStream {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly rows = 24;

  constructor({ isTTY = false } = {}) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk.toString();
    callback();
  }

  /** What a person sees: cursor movements carried out. One that goes up from the middle of a line is not taken for any. */
  get screen(): string[] {
    const lines: string[] = [];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character begins a terminal's commands
    for (const part of this.text.split(/(\r\u001b\[\d+A\u001b\[0J)/)) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
      const [, up] = /^\r\u001b\[(\d+)A/.exec(part) ?? [];
      if (up !== undefined) lines.splice(lines.length - Number(up));
      else lines.push(...part.split('\n').slice(0, -1));
    }
    return lines;
  }
}
