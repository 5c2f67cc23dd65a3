import { escapeControls } from './escape-controls.ts';

/** Longest part of a foreign string that an error message repeats. */
const QUOTED_CHARACTERS_MAX = 100;

/** A string from outside as it may stand in a message: quoted, control characters escaped, cut when long. */
export function quote(text: string): string {
  const cut = text.length > QUOTED_CHARACTERS_MAX;
  const shown = escapeControls(JSON.stringify(text.slice(0, QUOTED_CHARACTERS_MAX).toWellFormed()));
  return cut ? `${shown}… (${text.length} characters)` : shown;
}
