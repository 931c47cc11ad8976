import { expect, onTestFinished, test } from 'vitest';
import { Docket } from '../../../src/client/docket.js';
import { internalsOf } from '../../../src/client/internals.js';

test('the internals of a docket are its settings', () => {
  const docket = new Docket({ name: 'd', url: 'memory://' });
  onTestFinished(() => docket.close());
  expect(internalsOf(docket).settings).toMatchObject({ name: 'd', url: 'memory://', tasks: null });
});

test('anything but a docket of this copy of the package is refused', () => {
  const other = Object.create(Docket.prototype) as Docket;
  for (const value of [{}, other]) expect(() => internalsOf(value)).toThrow('expected a Docket of this copy');
});
