import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The release the tests run, built from its public source; another one is another folder. */
export const VERSITYGW_VERSION = 'v1.8.0';

/** Where the tests' own programs are: in the checkout, ignored by git, kept between runs. */
export const versitygwFolder = fileURLToPath(
  new URL(`../../.ingot/tools/versitygw-${VERSITYGW_VERSION}`, import.meta.url),
);

/** The S3 server that test/setup/install.ts built; undefined where it could not, and tests say so. */
export function findVersitygw(): string | undefined {
  const file = process.env.VERSITYGW ?? `${versitygwFolder}/versitygw`;
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch {
    // Not built; the caller says what that means.
    return undefined;
  }
}
