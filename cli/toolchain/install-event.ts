/** How far the installation of a toolchain is; each step comes once or many times, in this order. */
export type InstallEvent =
  /** `totalBytes` is undefined where the sizes are not known beforehand. */
  | { readonly step: 'download'; readonly doneBytes: number; readonly totalBytes: number | undefined }
  | { readonly step: 'unpack'; readonly wheels: number; readonly bytes: number }
  /** Compiling and linking something with it. */
  | { readonly step: 'try' }
  /** Hashing the tree. */
  | { readonly step: 'identify' };

/** Called as an installation goes on; must not throw. */
export type OnInstallEvent = (event: InstallEvent) => void;
