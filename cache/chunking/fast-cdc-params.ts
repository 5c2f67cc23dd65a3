import assert from 'node:assert/strict';

/** Averages that REAPI allows; a server that announces another is one we do without. */
const AVG_BYTES_MIN = 1024;
const AVG_BYTES_MAX = 1024 * 1024;

/** What decides where FastCDC 2020 cuts. Normalisation is level 2, as REAPI asks. */
export interface FastCdcParams {
  /** Even; nothing is looked at before it. */
  readonly minBytes: number;
  /** A power of two. */
  readonly avgBytes: number;
  readonly maxBytes: number;
  /** Mixed into the gear table; 0 leaves it as it is. */
  readonly seed: number;
}

/** The parameters that REAPI derives from the average, or undefined when the average is not one it allows. */
export function fastCdcParams(avgBytes: number, seed = 0): FastCdcParams | undefined {
  const isPowerOfTwo = Number.isInteger(Math.log2(avgBytes));
  if (!isPowerOfTwo || avgBytes < AVG_BYTES_MIN || avgBytes > AVG_BYTES_MAX) return undefined;
  return { minBytes: avgBytes / 4, avgBytes, maxBytes: avgBytes * 4, seed };
}

/** The recommended ones, which we announce: chunks of 128 KiB to 2 MiB. */
export const announcedFastCdcParams: FastCdcParams = announced();

function announced(): FastCdcParams {
  const params = fastCdcParams(512 * 1024);
  assert(params !== undefined);
  return params;
}
