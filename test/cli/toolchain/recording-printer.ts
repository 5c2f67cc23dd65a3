import type { Printer } from '../../../cli/output/printer.ts';

/** A printer that keeps what is said, for tests to look at. */
export interface RecordingPrinter extends Printer {
  readonly lines: string[];
  readonly warnings: string[];
  readonly results: unknown[];
  /** `label: how it ended`, and `label … note` for updates. */
  readonly progresses: string[];
}

export function recordingPrinter(): RecordingPrinter {
  const [lines, warnings, progresses]: string[][] = [[], [], []];
  const results: unknown[] = [];
  return {
    ...{ lines: lines ?? [], warnings: warnings ?? [], results, progresses: progresses ?? [] },
    ...{ json: false, isTerminal: false },
    line: (text) => lines?.push(text),
    warn: (text) => warnings?.push(text),
    result: (value) => results.push(value),
    progress: (label, total) => ({
      update: (done, note) => progresses?.push(`${label} ${done}/${total} ${note}`),
      done: (note) => progresses?.push(`${label}: ${note ?? 'done'}`),
      fail: (note) => progresses?.push(`${label}: failed: ${note}`),
    }),
  };
}
