;; More memories than any language needs, each as small as can be.

(memory $m1 0) (memory $m2 0) (memory $m3 0) (memory $m4 0) (memory $m5 0) (memory $m6 0) (memory $m7 0) (memory $m8 0)
(memory $m9 0) (memory $m10 0) (memory $m11 0) (memory $m12 0) (memory $m13 0) (memory $m14 0) (memory $m15 0) (memory $m16 0)
(memory $m17 0) (memory $m18 0) (memory $m19 0) (memory $m20 0) (memory $m21 0) (memory $m22 0) (memory $m23 0) (memory $m24 0)
(memory $m25 0) (memory $m26 0) (memory $m27 0) (memory $m28 0) (memory $m29 0) (memory $m30 0) (memory $m31 0) (memory $m32 0)
(memory $m33 0) (memory $m34 0) (memory $m35 0) (memory $m36 0) (memory $m37 0) (memory $m38 0) (memory $m39 0) (memory $m40 0)
(memory $m41 0) (memory $m42 0) (memory $m43 0) (memory $m44 0) (memory $m45 0) (memory $m46 0) (memory $m47 0) (memory $m48 0)
(memory $m49 0) (memory $m50 0) (memory $m51 0) (memory $m52 0) (memory $m53 0) (memory $m54 0) (memory $m55 0) (memory $m56 0)
(memory $m57 0) (memory $m58 0) (memory $m59 0) (memory $m60 0) (memory $m61 0) (memory $m62 0) (memory $m63 0) (memory $m64 0)
(memory $m65 0) (memory $m66 0) (memory $m67 0) (memory $m68 0) (memory $m69 0) (memory $m70 0) (memory $m71 0) (memory $m72 0)
(memory $m73 0) (memory $m74 0) (memory $m75 0) (memory $m76 0) (memory $m77 0) (memory $m78 0) (memory $m79 0) (memory $m80 0)
