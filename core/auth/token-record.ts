import { z } from 'zod';
import { callerRoleNames } from '../caller.ts';

/** Longest name of a token; it is in every line that is logged of it. */
const NAME_CHARACTERS_MAX = 64;
/** Names that are safe to print anywhere. */
const NAME = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,${NAME_CHARACTERS_MAX - 1}}$`);
/** Tokens of one file: people and machines of one team, not sessions. */
const TOKENS_MAX = 10_000;

/** What is kept of a static token: everything but the token. */
export const tokenRecordSchema = z.strictObject({
  name: z
    .string()
    .regex(NAME, `expected 1 to ${NAME_CHARACTERS_MAX} letters, digits, dots, dashes, underscores or @`),
  role: z.enum(callerRoleNames as [(typeof callerRoleNames)[number]]),
  /** Instance names it may use; absent means any. */
  instances: z.array(z.string()).optional(),
  /**
   * SHA-256 of the token in hexadecimal. No slow hash: those make guessing of what people choose dear, and these are
   * 256 random bits, which nobody guesses at any speed; and this one is computed for each call.
   */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal'),
  /** ISO 8601, as is the next. */
  created: z.iso.datetime(),
  /** Absent: never. */
  expires: z.iso.datetime().optional(),
});

/** One static token, parsed. */
export type TokenRecord = z.output<typeof tokenRecordSchema>;

/** The file of static tokens. The version rises when older programs would misread it. */
export const tokenFileSchema = z.strictObject({
  version: z.literal(1),
  tokens: z.array(tokenRecordSchema).max(TOKENS_MAX),
});
