import { expect, it } from 'vitest';
import { defaultLogStreamLimits } from '../../../cache/logs/log-stream-limits.ts';
import { workerConfigSchema } from '../../../worker/config.ts';

/** Of the line with which a worker ends a log that it cuts. */
const NOTICE_BYTES = 200;

it('a log stream holds the longest log that a worker lets an action write, so that it ends as the result does', () => {
  const { actionLog } = workerConfigSchema.parse({ data: '/data' });
  expect(defaultLogStreamLimits.streamBytesMax).toBeGreaterThanOrEqual(actionLog + NOTICE_BYTES);
});
