/** Providers beside the local one: a stack whose broker takes several at once. */
import type { Cloud } from '../../local/cloud.ts'
import { clientId, mockProvider } from './mock-provider.ts'
import type { MockProvider } from './mock-provider.ts'
import type { BesideProvider } from './stack.ts'

/** @param entries members of each provider's entry in Broker__Providers, by its id; a function receives its usual issuer */
export function besideProviders(entries: Readonly<Record<string, object | ((issuer: string) => object)>>) {
  const started = new Map<string, MockProvider>()
  const start = async (cloud: Cloud, brokerUrl: string): Promise<BesideProvider> => {
    for (const id of Object.keys(entries)) started.set(id, await mockProvider(`/realms/${id}`).start(cloud, brokerUrl))
    const list = Object.entries(entries).map(([id, more]) => ({
      id,
      kind: 'openid',
      name: `People of ${id}`,
      authority: started.get(id)!.issuer,
      clientId,
      responseMode: 'query',
      ...(typeof more === 'function' ? (more as (issuer: string) => object)(started.get(id)!.issuer) : more),
    }))
    return {
      settings: { Broker__Providers: JSON.stringify(list) },
      close: async () => {
        await Promise.all([...started.values()].map((provider) => provider.close()))
      },
    }
  }
  return { start, get: (id: string) => started.get(id)! }
}
