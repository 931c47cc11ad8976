-- Writes the layout of a docket, in its partition 0. Writes nothing when the mark of this change has expired: producers have
-- added by the old layout since then. Writes nothing either when the layout that this one was made from is no longer in force:
-- partitions that only the newer layout has would be lost.
-- KEYS  layout, layout-change
-- ARGV  prefix, token of the change, version of the layout that it was made from ('' for the first), tags of the partitions from 1
--       on, tags of those that are drained
-- Reply the version of the layout, or '' when nothing was written
--@include now
local prefix = ARGV[1]
--@include generation

if redis.call('GET', KEYS[2]) ~= ARGV[2] or (redis.call('HGET', KEYS[1], LAYOUT.version) or '') ~= ARGV[3] then
  return ''
end
local version = digits(next_generations(1))
redis.call('HSET', KEYS[1], LAYOUT.version, version, LAYOUT.tags, ARGV[4], LAYOUT.draining, ARGV[5])
redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.layout_changes, version)
return version
