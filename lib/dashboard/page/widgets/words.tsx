// A scope, route or code, which may break between its words; within one only where nothing else helps.

export function Words ({ text }: { text: string }) {
  return <>{text.split(/(?<=[:/_])/).flatMap((word, place) => place === 0 ? [word] : [<wbr key={place} />, word])}</>
}
