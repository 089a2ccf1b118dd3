/**
 * The local provider in the dress of AD FS, beside the other one.
 * The first version of the certificate is registered there.
 */
import type { Cloud } from '../../local/cloud.ts'
import { startFederationServer } from '../../local/identity-provider/adfs/federation-server.ts'
import type { FederationServer } from '../../local/identity-provider/adfs/federation-server.ts'
import { lendKeyPairs } from './key-pairs.ts'
import { withoutEntra } from './mock-provider.ts'
import type { BesideProvider } from './stack.ts'

export const adfsClientId = '7d1f0f5e-3b2a-4c1d-9e8f-6a5b4c3d2e1f'

export type AdfsProvider = FederationServer & BesideProvider

export function adfsProvider() {
  let started: AdfsProvider | undefined
  const start = async (cloud: Cloud, brokerUrl: string): Promise<AdfsProvider> => {
    const keyPairs = lendKeyPairs()
    const server = await startFederationServer({
      port: 0,
      tls: cloud.tls,
      makeKeyPair: keyPairs.makeKeyPair,
      clients: [
        {
          clientId: adfsClientId,
          // The second one is for a broker at which AD FS is beside another provider.
          redirectUris: ['callback', 'callback/partner', 'logout/done'].map((path) => `${brokerUrl}/${path}`),
          certificates: cloud.vault!.publicCertificates('broker').map(({ der }) => der),
        },
      ],
      apis: [
        { audience: 'api://demo', scopes: ['orders.read', 'orders.write'] },
        { audience: 'api://bills', scopes: ['read'] },
      ],
    })
    started = {
      ...server,
      settings: {
        Broker__Authority: server.issuer,
        Broker__ProviderKind: 'adfs',
        AzureAd__ClientId: adfsClientId,
        ...withoutEntra,
      },
      close: async () => {
        await server.close()
        keyPairs.release()
      },
    }
    return started
  }
  return { start, get: () => started! }
}
