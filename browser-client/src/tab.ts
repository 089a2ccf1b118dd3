/**
 * This tab: the state of its client with the listeners, the other tabs, and the events of a page that may have slept.
 */
import type { BrokerError } from './broker-error.ts'
import type { Person, Reason, State, Status } from './client.ts'

export interface Tab<Who extends Person, Message = never> {
  readonly getState: () => State<Who>
  /**
   * Sets the state, and sends it to the other tabs unless it came from one, or is an error.
   *
   * @param reason left out for the broker's own answer
   */
  readonly set: (status: Status, session?: Who, reason?: Reason, error?: BrokerError) => void
  /** @returns the unsubscriber */
  readonly subscribe: (listener: (state: State<Who>) => void) => () => void
  /** Sends another message to the other tabs, once the tab is open. */
  readonly post: (message: Message | State<Who>) => void
  /** Begins to listen, once. */
  readonly open: () => void
  readonly close: () => void
}

/**
 * @param name of the channel that the tabs of a client share
 * @param onMessage called with the messages of other tabs
 * @param onEvent called when the page is shown, online, visible or hidden; and without an event at the end of a
 *   session, and half a minute after an error
 * @param endOf a session, in milliseconds since 1970
 */
export function createTab<Who extends Person, Message = never>(
  name: string,
  onMessage: (message: Message | State<Who>) => void,
  onEvent: (event?: Event) => void,
  endOf: (session?: Who) => number = () => Infinity,
): Tab<Who, Message> {
  const listeners = new Set<(state: State<Who>) => void>()
  let state = { status: 'loading', reason: 'start' } as State<Who>
  let channel: BroadcastChannel | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const wake = (event?: Event) => channel && onEvent(event)
  return {
    getState: () => state,
    set: (status, session, reason = state.status === 'loading' ? 'start' : 'checked', error) => {
      state = { status, session, reason, error }
      if (!error && reason !== 'other-tab') channel?.postMessage(state)
      clearTimeout(timer)
      // At least half a minute, also for clocks that differ; at most what a timer can hold.
      timer = setTimeout(wake, error ? 3e4 : Math.min(Math.max(endOf(session) - Date.now(), 3e4), 1e9))
      for (const listener of listeners) listener(state)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    post: (message) => channel?.postMessage(message),
    open: () => {
      if (channel) return
      channel = new BroadcastChannel(name)
      channel.onmessage = ({ data }: MessageEvent<Message | State<Who>>) => onMessage(data)
      for (const type of ['pageshow', 'online', 'visibilitychange']) addEventListener(type, wake)
    },
    close: () => {
      channel?.close()
      channel = undefined
    },
  }
}
