/**
 * addKey and removeKey: an application rolls its own certificates without a directory permission, by a proof that it
 * holds the key of a registered one.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import * as z from 'zod/mini'
import { keyCredentialJson } from './applications.ts'
import type { Application, Applications } from './applications.ts'
import { GraphError } from './graph-error.ts'
import type { GraphCall, GraphRoute } from './route.ts'

export interface KeySettings {
  /** Delay from Graph's answer until the token endpoint accepts the change. Infinity: until `spread` is called. */
  effectAfterMs: number
  /** `aud` of the proof. */
  proofAudience: string
}

const proof = z.string().check(z.minLength(1))
const addBody = z.object({
  keyCredential: z.object({
    type: z.literal('AsymmetricX509Cert'),
    usage: z.literal('Verify'),
    key: z.string().check(z.regex(/^[A-Za-z\d+/]+={0,2}$/)),
    displayName: z.optional(z.nullable(z.string())),
  }),
  passwordCredential: z.nullish(z.null()),
  proof,
})
const removeBody = z.object({ keyId: z.string(), proof })

/** Documented: nbf to exp is ten minutes at most. */
const longestProofSeconds = 600
const skewSeconds = 300

export function keyRoutes(applications: Applications, settings: KeySettings): readonly GraphRoute[] {
  const ownApplication = ({ caller, parameters }: GraphCall): Application => {
    const application = applications.get(parameters[0] ?? '')
    if (application.appId === caller.clientId) return application
    throw new GraphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.')
  }

  const checkProof = async (application: Application, jwt: string): Promise<void> => {
    const refuse = () => new GraphError(401, 'Authentication_MissingOrMalformed', 'Access Token missing or malformed.')
    try {
      const { alg, x5t, kid } = decodeProtectedHeader(jwt)
      const { aud, iss, nbf, exp } = decodeJwt(jwt)
      const now = Date.now() / 1000
      const key = applications.keysOf(application).find(({ der }) => {
        const sha1 = createHash('sha1').update(der).digest()
        return sha1.toString('base64url') === x5t && sha1.toString('hex').toUpperCase() === kid
      })
      if (alg !== 'RS256' || !key || nbf === undefined || exp === undefined) throw refuse()
      const certificate = new X509Certificate(key.der)
      const isTimely = nbf <= now + skewSeconds && exp > now - skewSeconds && exp - nbf <= longestProofSeconds
      const isValid =
        certificate.validFromDate.getTime() / 1000 <= now && certificate.validToDate.getTime() / 1000 > now
      const isMeant = aud === settings.proofAudience && iss === application.id
      if (!isTimely || !isValid || !isMeant) throw refuse()
      await compactVerify(jwt, certificate.publicKey, { algorithms: ['RS256'] })
    } catch {
      throw refuse()
    }
  }

  return [
    {
      operation: 'addKey',
      method: 'POST',
      path: /^\/applications\/([\da-f-]{36})\/(?:microsoft\.graph\.)?addKey$/i,
      handle: async (call) => {
        const application = ownApplication(call)
        const body = parse(addBody, call.body)
        await checkProof(application, body.proof)
        const der = parseCertificate(body.keyCredential.key)
        const { effectAfterMs } = settings
        const displayName = body.keyCredential.displayName ?? ''
        const key = applications.register(application, der, { displayName, effectAfterMs })
        return { status: 200, body: keyCredentialJson(key) }
      },
    },
    {
      operation: 'removeKey',
      method: 'POST',
      path: /^\/applications\/([\da-f-]{36})\/(?:microsoft\.graph\.)?removeKey$/i,
      handle: async (call) => {
        const application = ownApplication(call)
        const { keyId, proof: jwt } = parse(removeBody, call.body)
        await checkProof(application, jwt)
        if (!applications.unregister(application, keyId, settings)) {
          throw new GraphError(400, 'Request_BadRequest', 'No credentials found to be removed.')
        }
        return { status: 204 }
      },
    },
  ]
}

function parse<T>(schema: z.ZodMiniType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new GraphError(400, 'Request_BadRequest', 'The request body does not match the schema of this operation.')
}

function parseCertificate(key: string): Buffer {
  const der = Buffer.from(key, 'base64')
  try {
    new X509Certificate(der)
    return der
  } catch {
    throw new GraphError(400, 'Request_BadRequest', 'The value for the property "key" is no certificate.')
  }
}
