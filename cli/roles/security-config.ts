import { z } from 'zod';
import { type CallerRule, parseCallerRule } from '../../core/auth/caller-rule.ts';
import { isIngotError } from '../../core/error.ts';

function callerRule() {
  return z.string().transform((text, context): CallerRule => {
    try {
      return parseCallerRule(text);
    } catch (error) {
      if (!isIngotError(error)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

/** Who may call a server, and how it proves itself; for roles that serve calls. */
export const securityConfigShape = {
  /** File of static tokens, written by `ingot token`. Default: `tokens.json` in the data folder, when it is there. */
  tokens: z.string().min(1).optional(),
  /** Serve callers without credentials beyond this machine. Default false: without credentials, loopback only. */
  allowAnonymous: z.boolean().default(false),
  /** PEM file of the certificate, and of the chain below it. Default: clear text. */
  tlsCert: z.string().min(1).optional(),
  /** PEM file of its key. */
  tlsKey: z.string().min(1).optional(),
  /** PEM file of the authority of client certificates. Default: clients are not asked for one. */
  tlsClientCa: z.string().min(1).optional(),
  /** Which client certificates, by name, have which role: `PATTERN=ROLE` or `PATTERN=ROLE:INSTANCE+INSTANCE`. */
  tlsClientRole: z.array(callerRule()).default([]),
  /** File, or https:// address, of the keys (JWKS) that an identity provider signs tokens with. */
  jwks: z.string().min(1).optional(),
  /** The `iss` and `aud` that such a token must have. */
  jwtIssuer: z.string().min(1).optional(),
  jwtAudience: z.string().min(1).optional(),
  /** Its claim that holds a role, or a list of them; dots lead into objects. */
  jwtRoleClaim: z.string().min(1).default('ingot_role'),
  /** Its claim that lists the instances it may use. Default: none is looked at, and tokens may use any. */
  jwtInstancesClaim: z.string().min(1).optional(),
};

const securityConfigSchema = z.object(securityConfigShape);

/** The parsed settings. */
export type SecurityConfig = z.output<typeof securityConfigSchema>;
