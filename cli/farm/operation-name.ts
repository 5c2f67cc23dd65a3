const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** An operation's name from what a person typed: the whole name, or only the id at its end. */
export function operationName(text: string, instanceName: string): string {
  if (!UUID.test(text)) return text;
  return instanceName === '' ? `operations/${text}` : `${instanceName}/operations/${text}`;
}
