/** Providers beside the local one: a stack whose broker takes several at once. */
import type { Cloud } from '../../local/cloud.ts'
import { localDefaults } from '../../local/local-defaults.ts'
import { clientId, mockProvider } from './mock-provider.ts'
import type { MockProvider } from './mock-provider.ts'
import type { BesideProvider } from './stack.ts'

/**
 * @param entries members of each provider's entry in Broker__Providers, by its id; a function receives its usual issuer
 */
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

/**
 * Another primary provider, with the local one as Entra ID beside it. Name it in `localProviderId` of the stack too.
 *
 * @param id of the local provider @param more members of its entry @param beside further providers
 */
export function localBeside(id: string, more: object = {}, beside?: ReturnType<typeof besideProviders>) {
  const primary = mockProvider('/realms/main')
  const start = async (cloud: Cloud, brokerUrl: string): Promise<BesideProvider> => {
    const [main, others] = [await primary.start(cloud, brokerUrl), await beside?.start(cloud, brokerUrl)]
    const local = {
      id,
      kind: 'entra',
      name: `People of ${id}`,
      instance: cloud.settings.AzureAd__Instance,
      tenantId: localDefaults.AzureAd__TenantId,
      clientId: localDefaults.AzureAd__ClientId,
      applicationObjectId: localDefaults.Broker__ApplicationObjectId,
      graphUrl: cloud.settings.Broker__GraphUrl,
      ...more,
    }
    const listed = JSON.parse(others?.settings.Broker__Providers ?? '[]') as readonly object[]
    return {
      settings: { ...main.settings, Broker__Providers: JSON.stringify([...listed, local]) },
      close: async () => {
        await Promise.all([main.close(), others?.close()])
      },
    }
  }
  return { start, primary: primary.get }
}
