/** Lists of Microsoft Graph that come in pages. */
import type { Cloud } from './cloud.ts'

/**
 * @param path of the list, with its query
 * @returns the entries of all pages, none where Graph does not know the parent; undefined where the list cannot be
 *   read, or not to its end
 */
export async function readPages<Entry>(cloud: Pick<Cloud, 'graph'>, path: string): Promise<Entry[] | undefined> {
  const entries: Entry[] = []
  const first = new URL(path, 'https://graph')
  let { search } = first
  for (let page = 0; page < 100; page++) {
    const { status, body } = await cloud.graph(`${first.pathname}${search}`)
    if (status === 404) return entries
    if (status !== 200) return undefined
    entries.push(...((body['value'] ?? []) as Entry[]))
    const next = body['@odata.nextLink']
    if (typeof next !== 'string') return entries
    // Of the address that Graph names, the query alone: the host stays ours.
    search = new URL(next).search
  }
  return undefined
}
