import { describe, expect, it } from 'vitest';
import { FiledResult } from '../../../../cache/actions/filed-result.ts';
import { goesAsItIs } from '../../../../cache/grpc/goes-as-it-is.ts';
import { actionResultResponse } from '../../../../cache/grpc/wire/action-result-response.ts';
import { ActionResult } from '../../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { sampleBlob } from '../../bytes.ts';
import { outputFiles, result, shown } from '../../results.ts';

const { bytes, digest } = sampleBlob(20);
const full = result({
  outputFiles: outputFiles({ a: digest }),
  stderrDigest: digest.toMessage(),
  exitCode: 3,
});
const noHints = { inlineStdout: false, inlineStderr: false, inlineOutputFiles: [] };

describe('a filed result', () => {
  const encoded = ActionResult.encode(full).finish();

  it('says what its bytes say, and goes out as these bytes', () => {
    const filed = new FiledResult(encoded);
    expect(shown(filed)).toEqual(shown(full));
    expect(Buffer.concat(actionResultResponse.encodeParts?.(filed) ?? [])).toEqual(Buffer.from(encoded));
  });

  it('is encoded anew when it was copied and changed', () => {
    const changed = { ...new FiledResult(encoded), exitCode: 4 };
    const parts = actionResultResponse.encodeParts?.(changed) ?? [];
    expect(shown(ActionResult.decode(Buffer.concat(parts)))).toEqual(shown({ ...full, exitCode: 4 }));
  });

  it('is none when the bytes are none', () => {
    expect(() => new FiledResult(Buffer.from([0x12, 0x7f]))).toThrow('premature EOF');
  });
});

describe('a result goes out as it is', () => {
  it('when there is nothing to leave out and nothing to put in', () => {
    expect(goesAsItIs(full, noHints)).toBe(true);
    expect(goesAsItIs(result({ stdoutRaw: bytes }), { ...noHints, inlineStdout: true })).toBe(true);
    expect(goesAsItIs(full, { ...noHints, inlineStdout: true })).toBe(true);
  });

  it('not when it carries bytes that are in the CAS, or could carry some that were asked for', () => {
    const message = digest.toMessage();
    const withContents = outputFiles({ a: digest }).map((file) => ({ ...file, contents: bytes }));
    expect(goesAsItIs(result({ stdoutDigest: message, stdoutRaw: bytes }), noHints)).toBe(false);
    expect(goesAsItIs(result({ stderrDigest: message, stderrRaw: bytes }), noHints)).toBe(false);
    expect(goesAsItIs(result({ outputFiles: withContents }), noHints)).toBe(false);
    expect(goesAsItIs(full, { ...noHints, inlineStderr: true })).toBe(false);
    expect(goesAsItIs(full, { ...noHints, inlineOutputFiles: ['a'] })).toBe(false);
  });
});
