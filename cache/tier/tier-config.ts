import { z } from 'zod';
import { byteSize, count, duration } from '../../core/config/config-values.ts';

/** In the cache's folder, with the queue of uploads; it is there once the cache had a tier. */
export const TIER_FOLDER = 'tier-v1';

/** Where a tier's objects are. */
export interface TierAddress {
  readonly bucket: string;
  /** Empty, or ending in a slash. */
  readonly prefix: string;
}

/** Settings of the tier, each beginning with `tier`; part of the cache's. */
export const tierConfigShape = {
  /** The object store behind this cache, `s3://BUCKET/PREFIX`; none when left out. */
  tier: tierAddress().optional(),
  /** Its URL, such as `https://minio.example:9000`. Default: AWS's for the region. */
  tierEndpoint: z.url({ protocol: /^https?$/, error: 'expected an http or https URL' }).optional(),
  /** Its region. Default: as the AWS environment and files say; `us-east-1` when an endpoint is given. */
  tierRegion: z.string().min(1).optional(),
  /** The bucket is named in the path, not in the host name. Default: true when an endpoint is given. */
  tierPathStyle: z.boolean().optional(),
  /** `queue`: a write is answered when it is durable here and its upload is recorded. `sync`: when the object store has it. */
  tierWrite: z.enum(['queue', 'sync']).default('queue'),
  /** How long the object store may take to begin an answer, and a transfer may stand still. */
  tierTimeout: duration({ min: 100 }).prefault('5s'),
  /** How long a write with `sync` waits for the object store before it is UNAVAILABLE. It stays in the queue. */
  tierSyncWait: duration({ min: 100 }).prefault('60s'),
  /** How long it is remembered that a blob is in the object store: what is deleted there may be promised for so long. */
  tierRemember: duration().prefault('10m'),
  /** Uploads under way at once. */
  tierUploads: count({ min: 1, max: 64 }).default(32),
  /** Uploads that may be pending; more make writes wait. About 1 KiB of memory and disk each. */
  tierQueueUploads: count({ min: 1 }).default(50_000),
  /** Bytes that may be pending; more make writes wait. They are in the store on disk anyway. */
  tierQueueBytes: byteSize({ min: 1 }).prefault('16GiB'),
};

/** The parsed settings of a tier. */
export type TierConfig = z.output<z.ZodObject<typeof tierConfigShape>>;

/** `s3://BUCKET/PREFIX`; the prefix may be left out. */
function tierAddress() {
  return z.string().transform((value, context): TierAddress => {
    const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9._/-]*))?$/.exec(value.trim());
    const path = (match?.[2] ?? '').replace(/\/+$/, '');
    const segments = path.split('/');
    const isOdd = path !== '' && segments.some((segment) => segment === '' || /^\.+$/.test(segment));
    if (match?.[1] === undefined || isOdd) {
      context.addIssue({ code: 'custom', message: 'expected s3://BUCKET or s3://BUCKET/PREFIX' });
      return z.NEVER;
    }
    return { bucket: match[1], prefix: path === '' ? '' : `${path}/` };
  });
}
