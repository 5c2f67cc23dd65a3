import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

const WORDS = { passed: 'PASS', failed: 'FAIL', skipped: 'SKIP', pending: '----' } as const;

/** Prints a line for each fault as it ends: its row of the bar, green or red, how long it took and what was seen. */
export default class FaultReporter implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };

  onTestCaseResult(testCase: TestCase): void {
    const { fault } = testCase.meta();
    if (fault === undefined) {
      this.#onPlainTest(testCase);
      return;
    }
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

  /** A file that is one row in many small tests is summed up; its failures are named. */
  onTestModuleEnd(module: TestModule): void {
    const [, id, what] = /\/(r\d\d)-([^/]*)\.test\.ts$/.exec(module.moduleId) ?? [];
    const tests = [...module.children.allTests()].filter((test) => test.meta().fault === undefined);
    if (id === undefined || what === undefined || tests.length === 0) return;
    const failed = tests.filter((test) => test.result().state === 'failed').length;
    const seconds = (module.diagnostic().duration / 1000).toFixed(1).padStart(5);
    const word = failed === 0 ? WORDS.passed : WORDS.failed;
    const sum = `${tests.length - failed} of ${tests.length} ways were met as they must be`;
    process.stdout.write(
      `${id.toUpperCase()} ${word} ${seconds} s  ${what.replaceAll('-', ' ')}\n      ${sum}\n`,
    );
  }

  #onPlainTest(testCase: TestCase): void {
    const { state, errors = [] } = testCase.result();
    this.#counts[state] += 1;
    for (const { stack = '' } of errors) process.stdout.write(`      ${testCase.fullName}\n${stack}\n`);
  }

  onTestRunEnd(_modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const { passed, failed, skipped } = this.#counts;
    for (const { message, stack } of errors) process.stdout.write(`${message}\n${stack}\n`);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
}
