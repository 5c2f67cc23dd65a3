/**
 * Text that came from outside, safe to print: control characters and line separators become `\u001b` and the like,
 * so that it can neither forge a line nor command a terminal.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) =>
    character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
