import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { failedPrecondition, notFound } from '../error.ts';

/** The file that makes a folder a toolchain. */
export const TOOLCHAIN_MANIFEST_FILE = 'toolchain.json';

/** Part of a mount point, a file name and a platform property value: nothing in it may need quoting. */
const plainName = z.string().regex(/^[a-z0-9][a-z0-9.+-]{0,31}$/);
const versionText = z.string().regex(/^[0-9][a-z0-9.+]{0,31}$/);
/** A top-level folder of the tree. */
const partName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One downloaded package that went into the tree. */
const packageSchema = z.object({
  file: z.string().min(1),
  sha256,
  bytes: z.int().nonnegative(),
});

const manifestSchema = z.object({
  schema: z.literal(1),
  /** What it is: `cuda`. */
  name: plainName,
  /** As people say it: `13.5`. */
  version: versionText,
  /** As the compiler says it: `13.5.37`. */
  build: z.string().min(1),
  /** `packages` put together by ingot, `host` found on this machine. */
  source: z.enum(['packages', 'host']),
  /** Where the tree is, from the manifest's folder; absolute for `host`. */
  root: z.string().min(1),
  /** The top-level folders that are hashed and mounted; nothing else of the tree can be seen by an action. */
  parts: z.array(partName).min(1).max(32),
  /** Hash of the contents of all parts: `core/toolchain/tree-identity.ts`. */
  identity: sha256,
  files: z.int().positive(),
  bytes: z.int().positive(),
  /** `core/toolchain/tree-fingerprint.ts` at the time the identity was taken. */
  fingerprint: sha256,
  /** Folders of the tree for PATH, in order. */
  pathFolders: z.array(z.string().min(1)).min(1),
  /** Variables that name the tree's root. */
  rootVariables: z.array(z.string().regex(/^[A-Z_][A-Z0-9_]*$/)),
  packages: z.array(packageSchema),
});

/** What `toolchain.json` holds: what the toolchain is, where its tree lies, and the hash it must have. */
export type ToolchainManifest = z.infer<typeof manifestSchema>;

/** Reads `FOLDER/toolchain.json`. NOT_FOUND when there is none, FAILED_PRECONDITION when it cannot be understood. */
export async function readToolchainManifest(folder: string): Promise<ToolchainManifest> {
  const path = join(folder, TOOLCHAIN_MANIFEST_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw notFound(`read toolchain: no ${path}`);
  }
  const parsed = manifestSchema.safeParse(parseJson(text, path));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path: at, message }) => `${at.join('.') || '(all)'}: ${message}`,
  );
  throw failedPrecondition(`read toolchain: ${path} is not a toolchain manifest: ${problems.join('; ')}`);
}

/** Writes `FOLDER/toolchain.json`, whole or not at all. */
export async function writeToolchainManifest(folder: string, manifest: ToolchainManifest): Promise<void> {
  const text = `${JSON.stringify(manifestSchema.parse(manifest), undefined, 2)}\n`;
  const staged = join(folder, `.${TOOLCHAIN_MANIFEST_FILE}.${randomUUID()}`);
  try {
    await writeFile(staged, text, { mode: 0o644 });
    await rename(staged, join(folder, TOOLCHAIN_MANIFEST_FILE));
  } finally {
    await rm(staged, { force: true });
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failedPrecondition(`read toolchain: ${path} is not JSON: ${(error as Error).message}`);
  }
}
