/**
 * Reads the pack of a response to {@link formatFetchRequest}. Returns undefined for everything that is not a complete
 * response with exactly one pack: a refusal, another version of the protocol, a truncated body. The caller limits the
 * size.
 *
 * @see https://git-scm.com/docs/protocol-v2#_output_stream
 */
export function readFetchResponse(body: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const pack: Buffer[] = [];
  let section: string | undefined;
  for (let at = 0; at < bytes.length;) {
    const digits = bytes.toString('latin1', at, at + 4);
    if (!/^[0-9a-f]{4}$/.test(digits)) return undefined;
    const length = Number.parseInt(digits, 16);
    // The end of the response, in the section of the pack.
    if (length === 0) return section === 'packfile' && at + 4 === bytes.length ? Buffer.concat(pack) : undefined;
    // The end of a section.
    if (length === 1 && section !== undefined && section !== 'packfile') section = undefined;
    else if (length <= 4 || at + length > bytes.length) return undefined;
    else if (section === undefined) {
      section = bytes.toString('latin1', at + 4, at + length).trimEnd();
      if (section !== 'packfile' && section !== 'shallow-info') return undefined;
    } else if (section === 'packfile' && bytes[at + 4] === 1) pack.push(bytes.subarray(at + 5, at + length));
    // 2 is progress, 3 an error. A line of `shallow-info` means that the forge's repository is shallow itself.
    else if (section !== 'packfile' || bytes[at + 4] !== 2) return undefined;
    at += length === 1 ? 4 : length;
  }
  return undefined;
}
