/**
 * addKey and removeKey of Microsoft Graph: an application needs no directory permission to roll its own keys, only a
 * token of its own and a proof that it has one of the keys.
 */
import type { CertificateVault } from '../vault/vault.ts'
import { BrokerError } from '../errors/errors.ts'
import type { Network, NetworkAnswer } from '../http/network.ts'
import { guidPattern } from '../settings/identifiers.ts'
import type { Clock } from '../async/deadline.ts'
import type { ApplicationKeys, ProvingVersion } from './application-keys.ts'
import { graphRefusal } from './graph-refusals.ts'
import { signProof } from './proof-of-possession.ts'

interface GraphApplicationKeysOptions {
  /** Checked by the settings: Graph of the cloud, or loopback. Without a slash at the end. */
  readonly graphUrl: string
  readonly objectId: string
  readonly vault: Pick<CertificateVault, 'readCertificate' | 'sign'>
  readonly network: Network
  /** Fetches the application's own token for Graph, by this version. */
  readonly token: (by: ProvingVersion) => Promise<string>
  readonly clock: Clock
}

/** Microsoft's documentation has named both. The first is in its older pages and in the service's error texts. */
const proofAudiences = ['00000002-0000-0000-c000-000000000000', '00000003-0000-0000-c000-000000000000']

export function createGraphApplicationKeys(options: GraphApplicationKeysOptions): ApplicationKeys {
  const { graphUrl, objectId, vault, network, clock } = options

  const call = async (action: string, by: ProvingVersion, members: object): Promise<NetworkAnswer> => {
    const token = await options.token(by)
    let answer: NetworkAnswer | undefined
    for (const audience of proofAudiences) {
      const proof = await signProof(vault, by, { objectId, audience, now: clock() })
      answer = await network({
        method: 'POST',
        url: `${graphUrl}/v1.0/applications/${objectId}/${action}`,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...members, proof }),
      })
      // Another audience is tried only where the proof was refused.
      if (answer.status !== 401 && answer.status !== 403) return answer
    }
    return answer as NetworkAnswer
  }

  return {
    add: async (certificate, by) => {
      const key = Buffer.from(certificate).toString('base64')
      const keyCredential = { type: 'AsymmetricX509Cert', usage: 'Verify', key }
      const answer = await call('addKey', by, { keyCredential, passwordCredential: null })
      if (answer.status < 200 || answer.status >= 300) throw graphRefusal('addKey', answer.status, answer.json.error)
      const { keyId } = answer.json
      if (typeof keyId === 'string' && guidPattern.test(keyId)) return keyId
      throw new BrokerError('provider_answer_invalid', { detail: 'addKey answered without a keyId' })
    },

    remove: async (keyId, by) => {
      const answer = await call('removeKey', by, { keyId })
      if (answer.status >= 200 && answer.status < 300) return
      // Removed already: by an earlier run whose answer was lost, or by a person.
      if (answer.status === 404 || answer.status === 400) return
      throw graphRefusal('removeKey', answer.status, answer.json.error)
    },
  }
}
