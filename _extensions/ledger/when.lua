-- Keeps or drops what is marked `.when`, blocks and spans; for reviewers also `.identifying`.
-- It runs first of all: a dropped passage is never asked for its numbers, and a block may be a
-- `.when` and a callout at once, which Quarto's own syntax tree would no longer show.

local core = dofile(quarto and quarto.utils.resolve_path("core.lua")
  or os.getenv("CLAIMLEDGER_EXTENSION") .. "/core.lua")

local review = os.getenv("CLAIMLEDGER_REVIEW") == "1"
local keep = { traverse = "topdown" }

-- From the outside in. What has an id or another class stays a block or span.
local function when(el)
  if review and el.classes:includes("identifying") then return {}, false end
  if not el.classes:includes("when") then return nil end
  if not core.holds(el.attributes) then return {}, false end
  el.classes = el.classes:filter(function(class) return class ~= "when" end)
  el.attributes = {}
  el.content = el.content:walk(keep)
  if #el.classes == 0 and el.identifier == "" then return el.content, false end
  return el, false
end
keep.Div, keep.Span = when, when

return { keep }
