import { expect, test } from 'vitest';

import { findTypeError } from './field-types.ts';

function inContainer(container: object): object {
  return { metadata: { name: 'a' }, spec: { containers: [{ name: 'main', image: 'a' }, container] } };
}

test.each([
  [inContainer({ command: 'sleep' }), 'string into Go struct field Container.spec.containers.command of type []string'],
  [inContainer({ args: ['-n', 1] }), 'number into Go struct field Container.spec.containers.args of type string'],
  [
    inContainer({ env: [{ name: 'A', value: 1 }] }),
    'number into Go struct field EnvVar.spec.containers.env.value of type string',
  ],
  [{ spec: { containers: {} } }, 'object into Go struct field PodSpec.spec.containers of type []v1.Container'],
  [{ spec: [] }, 'array into Go struct field Pod.spec of type v1.PodSpec'],
  [
    { spec: { activeDeadlineSeconds: '1' } },
    'string into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64',
  ],
  [{ metadata: { labels: { a: true } } }, 'bool into Go struct field ObjectMeta.metadata.labels of type string'],
])('refuses a field of the wrong type: %j', (pod, problem) => {
  expect(findTypeError(pod)).toBe(`json: cannot unmarshal ${problem}`);
});

test('treats null as missing, and does not check unknown fields', () => {
  expect(findTypeError(inContainer({ command: null, env: null, resources: 1 }))).toBeUndefined();
});
