import { describe, expect, it } from 'vitest'
import { isNavigation } from '../../../shared/front-ends/same-site-guard.ts'

const isPage = (secFetchDest?: string, secFetchMode?: string, secFetchSite?: string) =>
  isNavigation({ secFetchDest, secFetchMode, secFetchSite, origin: undefined, brokerRequest: undefined })

describe('a navigation of the whole page', () => {
  it.each([
    ['by itself', 'document', 'navigate', 'cross-site'],
    ['through a service worker in Chromium 156', 'empty', 'navigate', 'same-origin'],
    ['through a service worker in Firefox 153', 'empty', 'same-origin', 'same-origin'],
    ['in a browser that sends no such headers', undefined, undefined, undefined],
  ])('is recognised %s', (_how, destination, mode, site) => {
    expect(isPage(destination, mode, site)).toBe(true)
  })

  it.each([
    ['a frame', 'iframe', 'navigate', 'cross-site'],
    ['a frame of the same host', 'iframe', 'navigate', 'same-origin'],
    ['an image', 'image', 'no-cors', 'cross-site'],
    ['a script’s fetch', 'empty', 'cors', 'same-origin'],
    ['a script’s fetch without permission to read', 'empty', 'no-cors', 'cross-site'],
    ['a script of a sibling host', 'empty', 'same-origin', 'same-site'],
    ['a fetch without a mode', 'empty', undefined, 'same-origin'],
  ])('is not %s', (_what, destination, mode, site) => {
    expect(isPage(destination, mode, site)).toBe(false)
  })
})
