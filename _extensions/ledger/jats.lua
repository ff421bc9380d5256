-- The elements that pandoc's JATS writer has no words for: labels, alternative texts, boxes.

local core = claimledger_core
local jats, escape = {}, core.escape

local function raw(text) return pandoc.RawBlock("jats", text) end

local function wrapped(open, inner, close)
  local out = pandoc.Blocks({ raw(open) })
  out:extend(inner)
  out:insert(raw(close))
  return out
end

-- A figure or table: its label apart from its caption.
function jats.exhibit(id, kind, label, caption, body)
  local element = kind == "fig" and "fig" or "table-wrap"
  local out = wrapped(('<%s id="%s"><label>%s</label>'):format(element, id, label), {}, "<caption>")
  out:insert(pandoc.Para(caption))
  out:insert(raw("</caption>"))
  for _, block in ipairs(body) do
    local picture = block.content and #block.content == 1 and block.content[1]
    out:insert(picture and picture.t == "RawInline" and raw(picture.text) or block)
  end
  out:insert(raw(("</%s>"):format(element)))
  return out
end

function jats.picture(src, alt)
  return pandoc.RawInline("jats", ('<graphic mimetype="image" mime-subtype="%s" xlink:href="%s"><alt-text>%s</alt-text></graphic>')
    :format(src:match("%.svg$") and "svg+xml" or src:match("%w+$"), escape(src), escape(alt)))
end

function jats.callout(title, body)
  local head = pandoc.write(pandoc.Pandoc({ pandoc.Plain(title) }), "jats"):gsub("</?p>", ""):gsub("%s+$", "")
  return wrapped(("<boxed-text><caption><title>%s</title></caption>"):format(head), body, "</boxed-text>")
end

function jats.reference(text, label, kind)
  local sort = ({ fig = "fig", tbl = "table", sec = "sec" })[kind]
  return pandoc.RawInline("jats", ('<xref ref-type="%s" rid="%s">%s</xref>'):format(sort, label, escape(text)))
end

return jats
