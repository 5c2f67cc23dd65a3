import { join } from 'node:path';

const SEGMENT = /^([0-9]{8,})\.seg$/;

/** Names in the folder of the segments: `NNNNNNNN.seg`, and beside a sealed one its sidecar `NNNNNNNN.idx`. */
export class SegmentLayout {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = join(folder, 'segments-v1');
  }

  segmentPath(number: number): string {
    return join(this.folder, `${String(number).padStart(8, '0')}.seg`);
  }

  sidecarPath(number: number): string {
    return join(this.folder, `${String(number).padStart(8, '0')}.idx`);
  }

  /** The segment's number, or undefined for a file of another kind. */
  numberOf(name: string): number | undefined {
    const digits = SEGMENT.exec(name)?.[1];
    return digits === undefined ? undefined : Number(digits);
  }
}
