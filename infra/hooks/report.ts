/** The report of a hook: a short table of its results, and the commands that are left for a person. */
export interface Report {
  row(subject: string, outcome: string): void
  /** Adds a command or a sentence for the person who deploys. */
  todo(text: string): void
  /** Prints one line at once, while the hook waits. */
  progress(text: string): void
  print(title: string): void
}

/** Names that come from Azure reach the terminal: without control characters they cannot change what it shows. */
export function printable(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '?')
}

export function createReport(write: (text: string) => void = console.log): Report {
  const print = (text: string) => {
    write(printable(text))
  }
  const rows: (readonly [string, string])[] = []
  const todos: string[] = []
  return {
    row: (subject, outcome) => void rows.push([subject, outcome]),
    todo: (text) => void todos.push(text),
    progress: (text) => {
      print(`${text} …`)
    },
    print: (title) => {
      const width = Math.max(0, ...rows.map(([subject]) => subject.length))
      print(['', title, ...rows.map(([subject, outcome]) => `  ${subject.padEnd(width)}  ${outcome}`)].join('\n'))
      if (todos.length > 0) print(['', 'Left to do:', ...todos.map((text) => `  ${text}`)].join('\n'))
    },
  }
}
