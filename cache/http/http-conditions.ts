import type { IncomingHttpHeaders } from 'node:http';

/** An entity tag as it stands in a header. */
export function formatEntityTag(tag: string): string {
  return `"${tag}"`;
}

/** The client has these very bytes already (If-None-Match), so that 304 is all it needs. */
export function hasAlready(headers: IncomingHttpHeaders, tag: string): boolean {
  const wanted = headers['if-none-match'];
  if (wanted === undefined) return false;
  const quoted = formatEntityTag(tag);
  return wanted.split(',').some((one) => {
    const trimmed = one.trim();
    return trimmed === '*' || trimmed.replace(/^W\//, '') === quoted;
  });
}

/** The Range header, unless an If-Range names other bytes than these: then the client wants all of them. */
export function rangeHeader(headers: IncomingHttpHeaders, tag: string): string | undefined {
  const condition = headers['if-range'];
  return condition === undefined || condition === formatEntityTag(tag) ? headers.range : undefined;
}
