import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

const WORDS = { passed: 'PASS', failed: 'FAIL', skipped: 'SKIP', pending: '----' } as const;

/** Prints a line for each fault as it ends: its row of the bar, green or red, how long it took and what was seen. */
export default class FaultReporter implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };

  onTestCaseResult(testCase: TestCase): void {
    const { fault } = testCase.meta();
    if (fault === undefined) return;
    const { state } = testCase.result();
    const seconds = ((testCase.diagnostic()?.duration ?? 0) / 1000).toFixed(1).padStart(5);
    const title = testCase.name.slice(fault.id.length + 1);
    const lines = [
      `${fault.id} ${WORDS[state]} ${seconds} s  ${title}`,
      ...fault.saw.map((saw) => `      ${saw}`),
    ];
    const errors = testCase.result().errors ?? [];
    for (const { message, stack = '' } of errors) lines.push(`      ${message}`, stack);
    this.#counts[state] += 1;
    process.stdout.write(`${lines.join('\n')}\n`);
  }

  onTestRunEnd(_modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const { passed, failed, skipped } = this.#counts;
    for (const { message, stack } of errors) process.stdout.write(`${message}\n${stack}\n`);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
}
