-- Adds one subject to the consent set, unless consent was withdrawn meanwhile.
--
-- KEYS  seeded marker, consent set, withdrawal of this subject
-- ARGV  subject
-- Gives whether the subject consents now, or nothing if the set is not seeded.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return 0
end
redis.call('SADD', KEYS[2], ARGV[1])
return 1
