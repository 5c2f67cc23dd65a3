/** A value or a folder as PROPFIND tells of it. */
export interface WebDavResource {
  /** From the root of the server, not encoded; a folder's ends in a slash. */
  readonly path: string;
  /** Undefined for a folder. */
  readonly digest: { readonly hash: string; readonly sizeBytes: number } | undefined;
}

/** The body of a 403: a listing of a whole tree is refused, as RFC 4918 lets a server do. */
export const FINITE_DEPTH_ERROR =
  '<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n';

/** What a multistatus says besides its resources. */
export interface MultistatusOptions {
  /** There are more; the resource asked for is named once more with 507, as RFC 6578 says it. */
  readonly isCut: boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** The body of a 207 about these resources, the one asked for first. */
export function multistatus(
  resources: readonly WebDavResource[],
  { isCut, nowMs }: MultistatusOptions,
): string {
  const [asked] = resources;
  const responses = resources.map((resource) => response(href(resource), properties(resource, nowMs)));
  if (isCut && asked !== undefined) {
    responses.push(response(href(asked), '<D:status>HTTP/1.1 507 Insufficient Storage</D:status>'));
  }
  return `<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n${responses.join('')}</D:multistatus>\n`;
}

function response(path: string, content: string): string {
  return `<D:response><D:href>${path}</D:href>${content}</D:response>\n`;
}

function properties({ digest }: WebDavResource, nowMs: number): string {
  return `<D:propstat><D:prop>${digest === undefined ? folderProperties(nowMs) : valueProperties(digest)}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>`;
}

/** No times are kept, but sccache since 0.5 reads no folder that has none: it may have changed up to this moment. */
function folderProperties(nowMs: number): string {
  return (
    '<D:resourcetype><D:collection/></D:resourcetype>' +
    `<D:getlastmodified>${new Date(nowMs).toUTCString()}</D:getlastmodified>`
  );
}

function valueProperties({ hash, sizeBytes }: NonNullable<WebDavResource['digest']>): string {
  return (
    `<D:resourcetype/><D:getcontentlength>${sizeBytes}</D:getcontentlength>` +
    `<D:getetag>"${hash}"</D:getetag><D:getcontenttype>application/octet-stream</D:getcontenttype>`
  );
}

/** Percent-encoding leaves nothing that XML would take for its own but the apostrophe, which is none in text. */
function href({ path }: WebDavResource): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
