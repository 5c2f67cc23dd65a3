/** Names one lease's holder in a record, so that a repeated commit is known as the one that was accepted. */
export function committerOf(workerId: string, incarnation: string, epoch: number): string {
  return `${workerId} ${incarnation} ${epoch}`;
}
