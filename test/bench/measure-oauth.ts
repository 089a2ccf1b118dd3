/**
 * An OAuth sign-in, from `/login` to the answer of `/token`:
 * without `openid`, and with an ID token by RS256 and by ES256.
 */
import { frontEndOrigin, repeat, signInByOAuth } from './driver.ts'
import { guestAt, perUnit } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare } from './report.ts'
import type { Row } from './report.ts'
import { apiScope } from './world.ts'

const redirectUri = `${frontEndOrigin}/callback`
const openid = `openid profile ${apiScope}`
const clients = {
  plain: { scope: apiScope, registered: {} },
  rs256: { scope: openid, registered: {} },
  es256: { scope: openid, registered: { idTokenAlgorithm: 'ES256' } },
} as const
type Name = keyof typeof clients

export async function measureOAuth({ world, plan, tell }: Measuring): Promise<readonly Row[]> {
  const frontEnds = Object.entries(clients).map(([id, { registered }]) => ({
    id,
    ...registered,
    kind: 'oauth',
    origins: [frontEndOrigin],
    redirectUris: [redirectUri],
    apis: [{ name: 'orders', scopes: [apiScope] }],
  }))
  const broker = await world.startBroker({ settings: { Broker__FrontEnds: JSON.stringify(frontEnds) } })
  const measure = (name: Name, count: number) =>
    perUnit(broker, count, () =>
      repeat(count, plan.inFlight, (index) =>
        signInByOAuth(broker, guestAt(world, index), {
          clientId: name,
          scope: clients[name].scope,
          redirectUri,
        }),
      ),
    )
  const names = Object.keys(clients) as Name[]
  tell(`warm-up of OAuth: ${plan.warmUpSignIns} sign-ins`)
  for (const name of names) await measure(name, Math.ceil(plan.warmUpSignIns / names.length))
  const times: Record<Name, number[]> = { plain: [], rs256: [], es256: [] }
  for (let round = 1; round <= plan.rounds; round++) {
    tell(`OAuth, ${round} of ${plan.rounds}`)
    for (const name of names) times[name].push(await measure(name, plan.signIns))
  }
  await broker.end()
  const without = ['without openid', times.plain] as const
  return [
    compare({ what: 'OAuth sign-in, ID token by RS256', unit: 'µs' }, times.rs256, without),
    compare({ what: 'OAuth sign-in, ID token by ES256', unit: 'µs' }, times.es256, without),
  ]
}
