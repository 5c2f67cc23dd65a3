/** The command that installs Debian packages, as this user has to type it. */
export function installCommand(packages: readonly string[], uid: number | undefined): string {
  const command = `apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
  return uid === 0 ? command : `sudo ${command}`;
}
