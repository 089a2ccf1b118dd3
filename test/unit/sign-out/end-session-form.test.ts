import { beforeEach, describe, expect, it } from 'vitest'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { keepEndSessionForm, takeEndSessionForm } from '../../../shared/sign-out/end-session-form.ts'
import type { Store } from '../../../shared/store/store.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { useSessionParts } from '../session/parts.ts'
import type { TestClock } from '../session/parts.ts'

const form = { action: 'https://provider.example/end', fields: { id_token_hint: 'id-token-of-ada' } }

describe('the form of a sign-out at the provider', () => {
  let parts: { store: Store; ring: KeyRing; clock: TestClock }
  let network: TableProxy
  let handle: string
  useSessionParts('2031-05-10T12:00:00Z', (own) => void ({ network } = parts = own))
  beforeEach(async () => {
    handle = await keepEndSessionForm(form, parts)
  })
  const take = () => takeEndSessionForm(handle, parts)

  it('is read once, also by two requests at the same moment', async () => {
    const both = await Promise.all([take(), take()])

    expect(both.filter((one) => one !== undefined)).toEqual([form])
    expect(await take()).toBeUndefined()
  })

  it('is read where the store’s answer to its use is lost, and not a second time', async () => {
    network.addFault({ loseAnswer: true, times: 1, operation: 'replace' })

    expect(await take()).toEqual(form)
    expect(await take()).toBeUndefined()
  })

  it('ends after ten minutes', async () => {
    parts.clock.advance(600)

    expect(await take()).toBeUndefined()
  })
})
