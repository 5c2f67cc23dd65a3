import { anonymous } from '../caller.ts';
import type { Authenticator } from './authenticator.ts';

/** Of a server that asks for no credentials, and looks at none: whoever calls may do everything. */
export const anonymousAuthenticator: Authenticator = { authenticate: () => anonymous };
