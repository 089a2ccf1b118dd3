import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deployment } from '../../setup/deployment.ts'
import { outcome, startShop, upTo, whole } from './shop.ts'

describe('a deployment', () => {
  let deployment: Deployment

  beforeEach(async () => {
    deployment = await startShop()
  })
  afterEach(() => deployment.close())

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])(
    'that is killed after its write number %i is finished by a repetition',
    async (count) => {
      const killAfterWrites = async (name: string) => {
        let isOver = false
        const run = deployment.hook(name, (kill) => {
          const look = async () => {
            while (!isOver) {
              if ((await deployment.writes()) >= count) {
                kill()
                return
              }
              await new Promise((resolve) => setTimeout(resolve, 3))
            }
          }
          void look()
        })
        const { code } = await run
        isOver = true
        return code
      }

      if ((await killAfterWrites('preprovision')) === 0) {
        await deployment.provisioned()
        await killAfterWrites('postprovision')
      }
      const { before, after, codes } = await upTo(deployment)

      expect(codes, before.output + after.output).toEqual([0, 0])
      expect(await outcome(deployment)).toEqual(whole(deployment.baseUrl))
    },
  )
})
