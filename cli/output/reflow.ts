/** A heading of its own, such as `Examples:`, or the first words of a new paragraph, such as `Exit codes: …`. */
const OPENING = /^[A-Z][A-Za-z ]*:/;

/** Help text for a terminal of so many columns: paragraphs with a line too long are filled anew, the rest stays. */
export function reflow(text: string, columns: number): string {
  const lines: string[] = [];
  let paragraph: string[] = [];
  const close = () => {
    lines.push(...(paragraph.some((line) => line.length > columns) ? fill(paragraph, columns) : paragraph));
    paragraph = [];
  };
  for (const line of text.split('\n')) {
    const isProse = line !== '' && !line.startsWith(' ');
    if (!isProse || OPENING.test(line)) close();
    if (isProse) paragraph.push(line);
    else lines.push(line);
  }
  close();
  return lines.join('\n');
}

function fill(paragraph: readonly string[], columns: number): string[] {
  const filled: string[] = [];
  let line = '';
  for (const word of paragraph.join(' ').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      filled.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...filled, line];
}
