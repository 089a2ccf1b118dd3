import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withCapabilities } from '../../../shared/provider/client-capabilities.ts'
import { memberName } from '../../setup/arbitrary-text.ts'

const cp1 = ['cp1']
const merged = (claims: object | undefined, capabilities: readonly string[]) => {
  const text = withCapabilities(claims && JSON.stringify(claims), capabilities)
  return text === undefined ? undefined : (JSON.parse(text) as unknown)
}

describe('client capabilities', () => {
  it('are sent alone where there is no challenge', () => {
    expect(withCapabilities(undefined, cp1)).toBe('{"access_token":{"xms_cc":{"values":["cp1"]}}}')
    expect(withCapabilities(undefined, [])).toBeUndefined()
  })

  it('are merged with a challenge and with a claims request', () => {
    const acrs = { essential: true, value: 'c1' }
    const id_token = { acr: { essential: true } }

    expect(merged({ access_token: { acrs } }, cp1)).toEqual({ access_token: { acrs, xms_cc: { values: cp1 } } })
    expect(merged({ id_token }, cp1)).toEqual({ id_token, access_token: { xms_cc: { values: cp1 } } })
    expect(merged({ id_token, access_token: { acrs } }, [])).toEqual({ id_token, access_token: { acrs } })
  })

  it('come from the settings alone: those of a challenge are replaced, or removed', () => {
    const access_token = { xms_cc: { values: ['cp2', 'cp1'] }, nbf: { essential: true, value: '1' } }

    expect(merged({ access_token }, cp1)).toEqual({ access_token: { nbf: access_token.nbf, xms_cc: { values: cp1 } } })
    expect(merged({ access_token }, [])).toEqual({ access_token: { nbf: access_token.nbf } })
    expect(merged({ access_token: { xms_cc: null } }, [])).toBeUndefined()
  })

  it('leave every other member as it is', () => {
    fc.assert(
      fc.property(fc.dictionary(memberName(), fc.jsonValue()), (requested) => {
        const challenge = JSON.parse(JSON.stringify(requested)) as Record<string, unknown>
        delete challenge.xms_cc
        const { access_token } = merged({ access_token: challenge }, cp1) as { access_token: Record<string, unknown> }
        const { xms_cc, ...others } = access_token

        expect(xms_cc).toEqual({ values: cp1 })
        expect(others).toEqual(challenge)
      }),
    )
  })
})
