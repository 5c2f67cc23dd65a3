/** A Debian package that something here needs. */
export interface SystemPackage {
  readonly name: string;
  /** A program on PATH, or an absolute path, that is there once it is installed, by whatever means. */
  readonly gives: string;
  /** What it is needed for. */
  readonly use: string;
}
