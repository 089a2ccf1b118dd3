/** Lists of Resource Manager and Microsoft Graph that come in pages. */
import type { CloudAnswer } from './cloud.ts'

/**
 * @param request of a list or a page: `cloud.arm` or `cloud.graph`
 * @param path of the list, with its query
 * @returns the entries of all pages, none where the parent is not there; undefined where the list cannot be read, or
 *   not to its end
 */
export async function readPages<Entry>(
  request: (path: string) => Promise<CloudAnswer>,
  path: string,
): Promise<Entry[] | undefined> {
  const entries: Entry[] = []
  const first = new URL(path, 'https://cloud')
  let { search } = first
  for (let page = 0; page < 100; page++) {
    const { status, body } = await request(`${first.pathname}${search}`)
    if (status === 404) return entries
    if (status !== 200) return undefined
    entries.push(...((body['value'] ?? []) as Entry[]))
    const next = body['@odata.nextLink'] ?? body['nextLink']
    if (typeof next !== 'string') return entries
    // Of the address of the next page, the query alone: the host stays ours.
    search = new URL(next).search
  }
  return undefined
}
