// What each step of changing a key is given.
import type { EffectivePolicy, ApiKey, Issued } from '../answers.js'

export interface StepProps {
  readonly apiKey: ApiKey
  readonly policy: EffectivePolicy
  onIssued (issued: Issued): void
  /** Something changed, said in a sentence; the dialog is done. */
  onDone (message: string): void
  onBack (): void
}
